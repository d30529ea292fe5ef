"""Big pictures in bands of tiles, folders and video, with reading, inference and writing at the same time."""
