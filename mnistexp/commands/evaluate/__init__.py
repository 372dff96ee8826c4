"""A run's saved model judged on labelled digits: story.py tells it, measured.py counts, figures.py draws."""
