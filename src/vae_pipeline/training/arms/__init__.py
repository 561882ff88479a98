"""Arms of a study: labelled sets, generators and classifiers, each by a way of enlarging what it learns from."""
