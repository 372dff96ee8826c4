"""The whole assignment again, with each reported number beside ours."""
