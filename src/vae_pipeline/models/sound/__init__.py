"""Sound as a model sees it: its spectrogram, and the way back; made of convolutions that every graph can hold."""
