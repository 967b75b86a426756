"""What goes in and out: requests, results, their schemas, and the values they are made of."""
