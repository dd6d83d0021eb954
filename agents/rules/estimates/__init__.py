"""What rules work out from reports alone: late orders, price landscapes, forecasts, menus."""
