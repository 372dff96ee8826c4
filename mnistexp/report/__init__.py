"""Reports: from run folders to one page, and from the page to a file."""
