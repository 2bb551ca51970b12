"""Programs that show the package at work, and the stand-in provider that they run against."""
