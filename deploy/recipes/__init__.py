"""How the models that the project ships were made, as programs anyone can run again."""
