"""Getting to a device: this machine, SSH, adb; a bundle goes there, a result comes back, nothing stays."""
