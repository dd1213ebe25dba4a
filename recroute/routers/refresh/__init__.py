"""What has been observed since a router was fitted, and by how much its predictions are off."""
