// The overview: what was run.
"use strict";

benchbias.section({
  id: "overview",
  title: "Overview",
  draw(data, root, { el, name }) {
    const { head } = data;
    root.append(el("p", {}, "Suite ", name(head.suite), `, version ${head.version}: ${head.scored} of ${head.trials} trials scored.`));
  },
});
