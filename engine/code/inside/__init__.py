"""
The other side of the pipe: what runs in the caged process.

It is started with nothing but the standard library, msgspec and these modules, puts up the walls, and only then reads code.
Nothing here may be trusted by the rest of the program: once people's code runs, it can change all of it.
"""
