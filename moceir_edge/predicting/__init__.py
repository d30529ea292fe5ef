"""What a device cannot beat: lower bounds on time and energy where the device is not at hand."""
