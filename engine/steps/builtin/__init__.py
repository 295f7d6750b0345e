"""The steps that come with the engine: flow, data, files, triggers."""
