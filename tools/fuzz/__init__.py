"""A hunt for faults in facepad's readers: random damage to valid files, and random documents."""
