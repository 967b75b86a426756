"""The envelopes that events come in. Each is opened into work, and a result is put into its answer."""
