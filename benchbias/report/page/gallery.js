// The gallery of PIEs, and sample sheets by group.
"use strict";

(() => {
  const PAGE = 24;
  const HEAD = "pies";

  benchbias.section({
    id: HEAD,
    title: "Images that pruning changes",
    draw(data, root, tools) {
      const { el, name } = tools;
      const { gallery } = data;
      if (!gallery || !gallery.tasks.length) return;
      const several = gallery.tasks.length > 1;
      const full = gallery.tasks.filter((task) => task.galleries.length);
      if (full.length) {
        root.append(el("p", {}, "A PIE is a test image that most pruned models label otherwise than most dense models do. "
          + "Which of both is right does not matter. The images on which they disagree most come first."));
      }
      if (full.some((task) => task.galleries.some((one) => !one.modal))) {
        root.append(el("p", {}, "Where no record says which label each model gave, PIEs cannot be found. "
          + "There stand the images that most dense models get right and most pruned ones wrong: some are PIEs, some are not."));
      }
      for (const task of full) {
        turning(task, data, root, tools);
      }
      const said = d3.group(gallery.tasks.filter((task) => !task.galleries.length && task.said), (task) => task.said);
      for (const [text, tasks] of said) {
        const names = several ? [tasks.map((task, at) => [at ? ", " : "", name(task.task)]), ": "] : [];
        root.append(el("p", {}, names, sentence(text, tools)));
      }
    },
  });

  /** A sentence in which what stands in backquotes is code. */
  function sentence(text, { el }) {
    return text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
  }

  /** The pages of one task's galleries: choices, images, and buttons and keys that turn the page. */
  function turning(task, data, root, tools) {
    const { pictures } = data.gallery;
    const { el, name, short, choice, table, folded } = tools;
    const state = { gallery: 0, label: "all", group: "all", level: "all", page: 0 };
    const controls = el("div", { class: "controls" });
    const heading = el("h3");
    const told = el("p", { class: "quiet" });
    const counted = el("p");
    const list = el("ul", { class: "tiles" });
    const status = el("p", { role: "status", class: "turned" });
    const back = el("button", { type: "button", onclick: () => turn(state.page - 1) }, "← Back");
    const on = el("button", { type: "button", onclick: () => turn(state.page + 1) }, "On →");
    const stage = el("div", { class: "gallery", tabindex: "0", role: "group", onkeydown: key }, list);
    const rest = el("div");
    root.append(heading, ...(task.said ? [el("p", {}, sentence(task.said, tools))] : []), controls, told, counted, stage, el("div", { class: "turning" }, back, on, status), rest);
    fill();
    update();

    function groupName(group) {
      return group === null ? "–" : task.groups[group] ?? String(group);
    }

    function current() {
      return task.galleries[state.gallery];
    }

    /** What a gallery shows: PIEs only where modal labels are known. */
    function kind(one) {
      return one.modal ? "PIEs" : "images that most dense models get right and most pruned ones wrong";
    }

    /** How many of the pruned models err on an image; null where nobody knows. */
    function errors(item) {
      return item.right[1] === null ? null : current().models[1] - item.right[1];
    }

    function found() {
      return current().items.filter((item) =>
        (state.label === "all" || item.label === Number(state.label))
        && (state.group === "all" || item.group === Number(state.group))
        && (state.level === "all" || (errors(item) !== null && errors(item) >= Number(state.level))));
    }

    function fill() {
      const { items, models } = current();
      const unique = (values) => [...new Set(values.filter((value) => value !== null))].sort((one, two) => one - two);
      const [labels, groups] = [unique(items.map((item) => item.label)), unique(items.map((item) => item.group))];
      const errs = unique(items.map(errors));
      const steps = [...new Set([0.25, 0.5, 0.75, 0.9, 1].map((share) => Math.ceil(share * models[1])))].filter((least) => least > 0);
      const change = (key) => (value) => {
        state[key] = value;
        state.page = 0;
        update();
      };
      controls.replaceChildren(
        choice({ label: "Row", value: state.gallery, options: task.galleries.map((one, at) => ({ value: at, text: words(one.row) })), onchange: (value) => {
          Object.assign(state, { gallery: Number(value), label: "all", group: "all", level: "all", page: 0 });
          fill();
          update();
        } }),
        choice({ label: "Class", value: state.label, options: [{ value: "all", text: "all" }, ...labels.map((value) => ({ value, text: String(value) }))], onchange: change("label") }),
        ...(groups.length ? [choice({ label: "Group", value: state.group, options: [{ value: "all", text: "all" }, ...groups.map((value) => ({ value, text: groupName(value) }))], onchange: change("group") })] : []),
        ...(errs.length ? [choice({ label: "Level: pruned models that err", value: state.level, options: [{ value: "all", text: "any number" }, ...steps.map((least) => ({ value: least, text: `at least ${least} of ${models[1]}` }))], onchange: change("level") })] : []));
    }

    function update() {
      const one = current();
      const KNOWN = {
        predictions: "Labels are the modal ones of stored predictions.",
        table: "Labels are those of the suite's table of PIEs.",
        counts: one.modal
          ? "Records hold how often models are right, which of two classes gives the labels."
          : "Records hold how often models are right, not their labels. The pruned models' modal label is not known: where errors differ it may still be the true one.",
      };
      const what = kind(one);
      heading.replaceChildren(name(task.task), `: ${what}`);
      stage.setAttribute("aria-label", short(`${what} of ${task.task}: the arrow keys turn the page`, 200));
      counted.replaceChildren(...(one.counted ? [one.modal ? "" : `These ${one.total} are not the row's PIEs. `, "The suite's analysis ",
        name(one.counted.analysis), ` counts ${one.counted.pies} PIEs of this row, with all models.`] : []));
      counted.hidden = !one.counted;
      told.replaceChildren(name(words(one.row)), ` (${one.models[1]} models) beside `, name(words(one.control)), ` (${one.models[0]} models): ${one.items.length} of ${one.total} images are shown. ${KNOWN[one.by]}`);
      rest.replaceChildren(folded("The data of these images", table(
        [{ title: "test image", numeric: true }, { title: "true", numeric: true }, "group", { title: "dense", numeric: true }, { title: "pruned", numeric: true }, { title: "dense models right", numeric: true }, { title: "pruned models right", numeric: true }],
        one.items.map((item) => [String(item.image), shown(item.label), name(groupName(item.group)), shown(item.dense), shown(item.pruned), of(item.right[0], one.models[0], item.exact[0]), of(item.right[1], one.models[1], item.exact[1])]),
        { caption: `${what} of ${one.row}`, hideCaption: true })));
      turn(state.page);
    }

    function shown(label) {
      return label === null ? "unknown" : String(label);
    }

    function of(count, all, exact) {
      return count === null ? "unknown" : `${exact ? "" : "at most "}${count} of ${all}`;
    }

    /** How many models of one side (0: dense, 1: pruned) err, in words. */
    function erring(item, side) {
      return `${item.exact[side] ? "" : "at least "}${current().models[side] - item.right[side]} of ${current().models[side]}`;
    }

    function words(label) {
      const row = data.board.rows.find((one) => one.task === task.task && one.label === label);
      return row ? row.words : label;
    }

    function turn(page) {
      const items = found();
      const pages = Math.max(1, Math.ceil(items.length / PAGE));
      state.page = Math.max(0, Math.min(pages - 1, page));
      const start = state.page * PAGE;
      const here = items.slice(start, start + PAGE);
      list.replaceChildren(...here.map(tile));
      back.disabled = state.page === 0;
      on.disabled = state.page >= pages - 1;
      status.textContent = items.length ? `Images ${start + 1} to ${start + here.length} of ${items.length}, page ${state.page + 1} of ${pages}` : "No image is in this choice.";
    }

    function tile(item) {
      const one = current();
      const about = `Test image ${item.image}, class ${shown(item.label)}, group ${groupName(item.group)}`;
      const side = (label, at) => `${shown(label)}${item.right[at] === null ? "" : `, ${erring(item, at)} err`}`;
      return el("li", {}, el("figure", { class: "tile" },
        item.picture ? el("img", { src: `data:image/png;base64,${pictures[item.picture]}`, alt: about, title: about, width: 84, height: 84 })
          : el("span", { class: "absent" }, `image ${item.image}`),
        el("figcaption", {},
          el("span", {}, `true ${shown(item.label)}`),
          el("span", {}, `dense ${side(item.dense, 0)}`),
          el("span", {}, `pruned ${side(item.pruned, 1)}`))));
    }

    function key(event) {
      const to = { ArrowRight: state.page + 1, PageDown: state.page + 1, ArrowLeft: state.page - 1, PageUp: state.page - 1, Home: 0, End: Infinity }[event.key];
      if (to === undefined || event.target !== stage) return;
      event.preventDefault();
      turn(to);
    }
  }

  benchbias.section({
    id: "samples",
    title: "Sample images by group",
    draw(data, root, tools) {
      const { el, name, folded, box } = tools;
      const tasks = ((data.gallery || {}).tasks || []).filter((task) => task.sheet.length);
      if (!tasks.length) return;
      const { pictures } = data.gallery;
      root.append(el("p", {}, "The first images of every group, of the first seed. A group is a class and an attribute; it is aligned where they go together in training."));
      for (const task of tasks) {
        for (const sheet of task.sheet) {
          const title = [name(task.task), `: ${sheet.split} split, ${sheet.total} images`];
          const shown = box(`Sample images of ${task.task}, ${sheet.split} split`, el("table", { class: "sheet" },
            el("caption", { class: "hidden" }, `Sample images of ${task.task}, ${sheet.split} split`),
            el("thead", { class: "hidden" }, el("tr", {}, el("th", { scope: "col" }, "group"), el("th", { scope: "col" }, "images"))),
            el("tbody", {}, sheet.rows.map((row) => el("tr", {},
              el("th", { scope: "row" }, name(row.group), el("span", { class: "quiet" }, ` ${row.count}${row.aligned === null ? "" : row.aligned ? ", aligned" : ", conflicting"}`)),
              el("td", {}, row.tiles.length ? row.tiles.map(([at, picture]) => el("img", { src: `data:image/png;base64,${pictures[picture]}`,
                alt: `${sheet.split} image ${at} of group ${row.group}`, width: 48, height: 48, loading: "lazy" })) : el("span", { class: "quiet" }, "no example")))))));
          if (sheet.split === "train" && sheet.rows.length <= 12) root.append(el("h3", {}, title), shown);
          else root.append(folded(title, shown));
        }
      }
      if (data.gallery.leftOut) root.append(el("p", {}, `${data.gallery.leftOut} images were left out, so that this file stays small.`));
    },
  });
})();
