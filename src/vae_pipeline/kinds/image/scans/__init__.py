"""Medical scans: DICOM and NIfTI files. Nothing of them but pixels leaves this package, nor the names of files."""
