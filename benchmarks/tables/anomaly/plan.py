"""The detectors that are compared, and on how many rows."""

OURS, SOME, VAE = "vae-pipeline", "vae-pipeline some", "PyOD VAE"
DETECTORS = (OURS, VAE, "PyOD AutoEncoder", "IForest", "PCA", "ECOD", "kNN", "LOF", "OCSVM")
CONTAMINATED = (SOME, OURS, "IForest", "PCA", "ECOD", "kNN", "LOF", "OCSVM")
TUNED = ("6_cardio", "28_pendigits", "30_satellite")  # what contamination="some" does was chosen on these
PATIENCE = 6  # times as long as ours, in `speed`
MOST_TRAIN, MOST_TEST = 10_000, 20_000  # rows, of any set and for every detector
