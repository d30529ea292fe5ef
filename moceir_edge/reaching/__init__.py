"""Getting to a device: SSH, adb; a bundle goes there, a result comes back, nothing stays."""
