"""What an app's developer is handed for a device, one folder a target."""
