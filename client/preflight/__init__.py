"""The hospital's preflight: is this machine, its connection and its images fit for a federation?"""
