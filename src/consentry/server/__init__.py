"""The hub's web server: the API, who may use it, and the processes that watch the cameras."""
