"""Forecasting: numbers in time, by recurrent models and by the classical ones beside them."""
