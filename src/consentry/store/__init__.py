"""What is kept on disk: the database, its migrations, the folder of sealed blobs and their check."""
