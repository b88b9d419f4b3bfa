"""Who is calling: turns the credential of a request into one principal. Each way of proving it is a file here."""
