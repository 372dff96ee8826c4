"""What is going on in a runs folder, in a terminal and in a browser."""
