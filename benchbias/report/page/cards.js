// Cards of methods and of data, claims with verdicts, and the manifest.
"use strict";

(() => {
  const KINDS = { dataset: "data set", model: "network" };
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const range = (counts) => (!counts || !counts.length ? "–" : counts[0] === counts[1] || counts.length < 2 ? String(counts[0]) : `${counts[0]}–${counts[1]}`);

  function stale(data, { el }) {
    const { today } = data.cards;
    if (today === null) return el("p", {}, "The tables that were read have no such suite: settings are those that records name.");
    if (today !== data.head.version) {
      return el("p", {}, `These records are of version ${data.head.version} of the suite. The cards show the tables of version ${today}, which may differ.`);
    }
    return null;
  }

  /** A list of terms: [term, content] pairs, those without content left out. */
  function terms(pairs, { el }) {
    return el("dl", { class: "terms" }, pairs.filter(([, value]) => value !== null && value !== "" && value !== undefined && !(Array.isArray(value) && !value.length))
      .flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
  }

  /** A value in which each `$name` is the method's parameter of that name; a swept one stands as the list of its values. */
  function resolved(value, parameters) {
    if (Array.isArray(value)) return value.map((one) => resolved(one, parameters));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one, parameters)]));
    const found = typeof value === "string" && value.startsWith("$") && parameters.find((one) => `$${one.name}` === value);
    return found ? found.value : value;
  }

  /** A text in which what stands in backquotes is code. */
  function coded(text, { el, short }) {
    return el("bdi", {}, String(text).split("`").map((part, at) => (at % 2 ? el("code", {}, short(part, 2000)) : short(part, 2000))));
  }

  function settings(list, caption, tools, parameters = []) {
    const { name, table } = tools;
    return table(["setting", "value", "set by"], list.map((one) => [name(one.name), name(text(resolved(one.value, parameters))), name((one.swept ? "swept; " : "") + one.source)]), { caption });
  }

  benchbias.section({
    id: "methods",
    title: "Methods",
    draw(data, root, tools) {
      const { el, name, folded } = tools;
      const { cards } = data;
      if (!cards || !cards.methods.length) return;
      root.append(el("p", {}, "One card for each method: its stages with every effective setting, and whose group labels it used."));
      const note = stale(data, tools);
      if (note) root.append(note);
      for (const method of cards.methods) root.append(folded([name(method.name), el("span", { class: "quiet" }, ` · ${brief(method)}`)], card(method)));

      function brief(method) {
        const stages = method.on.length ? method.on[0].stages.map(staged).join(", then ") : "stages unknown";
        return `${stages}; labels: ${method.labels}${method.ranked ? "" : "; not ranked"}`;
      }

      /** E.g. `train erm with rigl`: a pruner that works while a stage trains stands among its settings. */
      function staged(stage) {
        const inner = stage.settings.find((one) => one.name === "prune");
        const used = inner && inner.value && (typeof inner.value === "object" ? inner.value.use : inner.value);
        return used ? `${stage.words} with ${used}` : stage.words;
      }

      function card(method) {
        const recorded = Object.entries(method.recorded).map(([key, values]) => `${key} = ${values.map(text).join(", ")}`);
        return el("div", { class: "card" },
          terms([
            ["Rows", method.rows.map((row, at) => [at ? "; " : "", name(row)])],
            ["Control", method.control === null ? "none" : name(method.control)],
            ["Group labels used", method.labels],
            ["Settings chosen", method.settingsFrom.join(", ")],
            ["Settings in the records", recorded.length ? name(recorded.join("; ")) : null],
            ["Page", method.page ? el("code", {}, method.page) : null],
          ], tools),
          method.on.map((one) => [
            method.on.length > 1 ? el("h3", {}, "On ", name(one.task)) : null,
            one.parameters.length ? settings(one.parameters, "Parameters", tools) : null,
            one.stages.map((stage, at) => el("div", {},
              el("p", {}, el("strong", {}, `Stage ${at + 1}: ${staged(stage)}`), stage.summary ? [" — ", coded(stage.summary, tools)] : "",
                stage.given.length ? ` It is given: ${stage.given.join(", ").replaceAll("_", " ")}.` : ""),
              stage.settings.length ? settings(stage.settings, `Settings of stage ${at + 1}`, tools, one.parameters) : null,
              stage.recipe.length ? folded(`Recipe of stage ${at + 1}`, settings(stage.recipe, `Recipe of stage ${at + 1}`, tools, one.parameters)) : null)),
          ]));
      }
    },
  });

  benchbias.section({
    id: "data",
    title: "Data",
    draw(data, root, tools) {
      const { el, name, table, folded, scaled } = tools;
      const { cards } = data;
      if (!cards || !cards.tasks.length) return;
      const facts = Object.fromEntries(((data.gallery || {}).tasks || []).map((task) => [task.task, task.facts]));
      const note = stale(data, tools);
      if (note) root.append(note);
      for (const task of cards.tasks) root.append(el("h3", {}, name(task.name)), card(task));

      function span(counts) {
        return [...new Set(counts.map((count) => scaled(count)))].join(" to ");
      }

      function card(task) {
        const known = facts[task.name] || {};
        const groups = table(["group", "kind", { title: "training", numeric: true }, { title: "test", numeric: true }],
          task.groups.map((group) => [name(group.name), group.aligned ? "aligned" : "conflicting", range(group.train), range(group.test)]),
          { caption: `Groups of ${task.name}, numbers of examples` });
        return el("div", { class: "card" },
          task.about ? el("p", {}, coded(task.about, tools)) : null,
          terms([
            ["Classes", task.classes],
            ["Groups", task.groups.length],
            ["Source images tested by all seeds", task.sourceImages],
            ["Images", task.preprocessing.map((one) => name(one))],
            ["Source", known.source ? name(known.source) : null],
            ["Licence", known.licence ? name(known.licence) : null],
            ["Shape", known.shape ? known.shape.join(" × ") : null],
            ["Splits", known.splits ? Object.entries(known.splits).map(([split, count]) => `${split} ${count}`).join(", ") : null],
            ["Notes", (known.notes || []).map((one) => el("p", {}, coded(one, tools)))],
            ["Network", task.network.parameters.length ? `${span(task.network.parameters)} parameters, ${span(task.network.flops)} FLOPs` : null],
          ], tools),
          task.groups.length > 12 ? folded(`The ${task.groups.length} groups`, groups) : groups,
          task.uses.map((use) => el("div", {},
            el("p", {}, el("strong", {}, `${KINDS[use.kind] || use.kind}: `), name(use.component), use.summary ? [" — ", coded(use.summary, tools)] : ""),
            use.options.length ? folded(`Options of the ${KINDS[use.kind] || use.kind}`, settings(use.options, `Options of ${use.component}`, tools)) : null)),
          Object.keys(task.recipe).length ? folded("Recipe of the task", table(["setting", "value"], Object.entries(task.recipe).map(([key, value]) => [name(key), name(text(value))]), { caption: "Recipe of the task" })) : null);
      }
    },
  });

  benchbias.section({
    id: "claims",
    title: "Claims of the literature",
    draw(data, root, tools) {
      const { el, name, interval, table, folded, metric } = tools;
      const { claims } = data;
      if (!claims) return;
      const SIGNS = { higher: ">", lower: "<", equivalent: "=" };
      const MARKS = { supported: "✓", refuted: "✗", equivalent: "■", unresolved: "○", "not run": "–" };
      const points = claims.claims.every((claim) => claim.ofRows);
      root.append(el("p", {}, "What papers say, held against these records. "
        + `p and verdicts are adjusted for all ${claims.of} claims of the shipped file (Holm, 5 %), not only for those shown. `
        + "The board adjusts its verdicts for the rows of a task, so the two may differ. Each interval is of one claim alone, and not adjusted."));
      root.append(table(["claim", "verdict", { title: points ? "difference, points" : "difference, in the claim's unit", numeric: true }, { title: "p, adjusted", numeric: true }, { title: "power", numeric: true }],
        claims.claims.map((claim) => [
          el("span", { class: "claim" }, el("span", {}, claim.says), el("span", { class: "quiet contrast" }, contrast(claim))),
          el("span", { class: "verdict" }, el("span", { "aria-hidden": "true" }, `${MARKS[claim.verdict]} `), claim.verdict),
          difference(claim), p(claim), claim.power === null ? "–" : claim.power.toFixed(2)]),
        { caption: "Claims about this suite", hideCaption: true }));
      root.append(folded("How to read these verdicts", el("ul", {},
        el("li", {}, "Supported, refuted: the difference is not zero, in the direction of the claim or in the other."),
        el("li", {}, "Equivalent: the difference is within the margin. Unresolved: neither is shown."),
        el("li", {}, "A claim about merit stays unresolved where a row is at the floor or does not fit its training data."),
        el("li", {}, "Power: the probability of “supported” in such runs if the difference were the margin."))),
      folded("All about each claim", claims.claims.map((claim) => el("div", { class: "card" }, el("h3", {}, name(claim.name)), terms(claim)))));

      function contrast(claim) {
        return `${claim.sides[0]} ${SIGNS[claim.expects]} ${claim.sides[1]} in ${metric(claim.metric)}, margin ${claim.margin}${claim.ofRows ? " points" : ""}`;
      }

      /** The difference with its unit, unless the column names it. */
      function difference(claim, named = false) {
        const found = interval(claim.difference, { unit: claim.ofRows ? "points" : "", sign: true, seeds: true });
        return claim.ofRows && claim.difference && (named || !points) ? `${found.replace(", n = ", " points, n = ")}` : found;
      }

      function p(claim) {
        return claim.p === null ? "–" : claim.p < 1e-4 ? "< 0.0001" : claim.p.toFixed(4);
      }

      function terms(claim) {
        const marks = Object.entries(claim.marks).map(([row, words]) => `${row}: ${words.join(", ")}`);
        return el("ul", {}, el("li", {}, claim.says), el("li", {}, contrast(claim)),
          el("li", {}, `Verdict: ${claim.verdict}; difference ${difference(claim, true)}; p, adjusted, ${p(claim)}`),
          claim.noMerit ? el("li", {}, "It is about merit, and a row shows none: so it stays unresolved.") : null,
          claim.about === "fit" ? el("li", {}, "It is about the fit itself, which marks do not stop.") : null,
          marks.length ? el("li", {}, `Marks: ${marks.join("; ")}`) : null,
          el("li", {}, `Written ${claim.written} were run`));
      }
    },
  });

  benchbias.section({
    id: "manifest",
    title: "Manifest",
    draw(data, root, tools) {
      const { el, name } = tools;
      const { manifest } = data;
      if (!manifest) return;
      const counted = (list) => (list.length ? el("ul", {}, list.map(([one, count]) => el("li", {}, name(one), ` (${count})`))) : null);
      const hours = manifest.seconds / 3600;
      root.append(terms([
        ["Suite", [name(manifest.suite), `, version ${manifest.version}`]],
        ["Records", `${manifest.records}: ${Object.entries(manifest.status).map(([status, count]) => `${count} ${status}`).join(", ")}`],
        ["Folder", [name(manifest.folder), manifest.published ? `, published${manifest.date ? ` on ${manifest.date}` : ""}` : ""]],
        ["sha256 of the records", el("code", { class: "digest" }, manifest.sha256)],
        ["Seeds", manifest.seeds.join(", ")],
        ["Made by (number of records)", counted(manifest.code)],
        ["Machines", counted(manifest.hosts)],
        ["Processors", counted(manifest.cpus)],
        ["Devices", counted(manifest.devices)],
        ["torch", counted(manifest.torch)],
        ["Packages", counted(manifest.packages)],
        ["Time of all stages", manifest.seconds ? (hours < 1 ? `${Math.round(manifest.seconds / 60)} minutes` : `${hours.toFixed(1)} hours`) : null],
        ["Analyses", manifest.analyses.length ? el("ul", {}, manifest.analyses.map(([label, status, trials]) => el("li", {}, name(label), `: ${status}, of ${trials} trials`))) : null],
        ["Commands", el("pre", {}, manifest.commands.join("\n"))],
      ], tools), el("p", { class: "quiet" }, "Records themselves hold no date, so that the same run gives the same bytes."));
    },
  });
})();
