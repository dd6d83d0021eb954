"""Money and prices of the engine: whole fen, and prices in CNY per thousand impressions."""

FEN_PER_CNY = 100.0
# A fen per impression is ten CNY per thousand impressions.
CPM_PER_FEN = 10.0
FEN_PER_CPM = 0.1
