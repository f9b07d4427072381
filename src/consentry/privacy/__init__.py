"""From a frame and the faces in it to a picture that shows only those who may be shown."""
