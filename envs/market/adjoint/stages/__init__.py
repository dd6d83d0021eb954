"""The engine's stages as functions of tensors, under the names of their modules there."""
