"""Reports: from run folders to one page, and from that to a file."""
