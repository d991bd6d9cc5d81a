"""A dense and a compressed network on images, run to the values of an audit."""
