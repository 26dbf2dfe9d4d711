// `npm start -- "prompt"`: the shortest way from a clone to an answer. See README.md.
