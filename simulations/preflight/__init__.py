"""What can be known before Flower starts: is the machine fit, are the images read as meant, can every fold train?"""
