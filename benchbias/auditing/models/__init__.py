"""A dense network and compressed ones on images, run to the values of an audit. `collect.answers_of_models` does it."""
