"""A bundle behind an inference server: model repositories, and MLServer's side of one."""
