"""A release on its way to where more readers are served: an object store, another folder."""
