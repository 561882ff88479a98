"""What is made of a trained model, and done with it: graphs, runtimes, pages, servers, variants."""
