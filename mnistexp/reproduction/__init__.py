"""The whole assignment again, each reported figure beside ours."""
