"""The images of a report: PIEs and sample sheets, each image once."""
