"""What a saved policy is made of: its network, evaluated with numpy alone, and its description,
checked before use.
"""
