"""The models as data, one file a model, and the check of parameters against them."""
