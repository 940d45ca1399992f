"""One module a paper: `describe(records)` gives the frame of `explorable.js` its data."""
