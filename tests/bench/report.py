# SPDX-License-Identifier: MIT
"""Reports the results: a table in text, results.json, and results.svg."""
import json
import os


def amount(value, unit):
    """Three significant digits, and a unit."""
    steps = [(1, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")]
    if unit in ("B", "instructions"):
        return f"{value:,.0f} {unit if unit == 'B' else ''}".rstrip()
    size, word = next((s for s in reversed(steps) if abs(value) >= s[0]), steps[0])
    value /= size
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {word}"


def aim_text(aim, one):
    label = one["labels"]
    sign = "<" if aim["strict"] else "<="
    if aim["reference"]:
        factor = aim["factor"]
        whole = factor < 1 and abs(1 / factor - round(1 / factor)) < 1e-9
        times = f"1/{1 / factor:.0f} of" if whole else "" if factor == 1 else f"{factor:g} x"
        what = f"{label[aim['peer']]} {sign} {times} {label[aim['reference']]}".replace("  ", " ")
        if aim["beside"]:
            what = f"{label[aim['peer']]}: by {sign} {times} what {label[aim['beside'][0]]} grows"
    else:
        what = f"{label[aim['peer']]} {sign} {amount(aim['factor'], one['unit'])}"
    if aim["status"] == "unknown":
        return f"{what}: not known"
    value = f"{aim['value']:.3g} x" if aim["reference"] else amount(aim["value"], one["unit"])
    if aim["status"] == "met":
        return f"{what}: met ({value})"
    return f"{what}: MISSED ({value}, {aim['value'] / aim['factor']:.3g} times the aim)"


def rows_of(one):
    """A row for each peer: label, median, from - to, ratio."""
    base = one["peers"].get(one["base"] or "", {}).get("median")
    for name, peer in one["peers"].items():
        label = one["labels"][name]
        if peer["status"] != "measured":
            yield label, None, f"{peer['status']}: {peer['reason']}", ""
            continue
        spread = f"{amount(peer['min'], one['unit'])} - {amount(peer['max'], one['unit'])}"
        ratio = f"{peer['median'] / base:.3g}" if base else ""
        if peer.get("most", 1) > 1:     # of several processes
            ratio = f"{ratio:9} (the luckiest did {peer['most']:.1f} x the mean)"
        yield label, amount(peer["median"], one["unit"]), spread, ratio


def table(about):
    m = about["machine"]
    text = [f"{m['cpu']}, {m['cpus']} CPUs, Linux {m['kernel']}, {m['date']}; "
            f"medians of {about['rounds']} rounds, {about['seconds']} s; "
            f"load {m['load']:.1f} at the start"]
    for name, one in about["workloads"].items():
        base = one["labels"].get(one["base"] or "", "")
        wide = max(map(len, one["labels"].values()))
        text += ["", f"{name}: {one['title']}",
                 f"  {'peer':{wide}} {'median':>9}  {'least - most':21}  "
                 f"{'x ' + base if base else ''}".rstrip()]
        for label, median, spread, ratio in rows_of(one):
            if median is None:
                text.append(f"  {label:{wide}} {spread}")
            else:
                text.append(f"  {label:{wide}} {median:>9}  {spread:21}  {ratio}".rstrip())
        text += [f"    aim: {aim_text(aim, one)}" for aim in one["aims"]]
    return "\n".join(text) + "\n"


# ---- the picture ------------------------------------------------------------------------------

ROW, HEAD, WIDTH = 0.17, 0.62, 10.0     # inches: a bar, what is around a panel, the whole
OURS, OTHERS, TEXT = "#c2410c", "#94a3b8", "#334155"


def columns(panels):
    """Two columns of about the same height, in order."""
    heights = [HEAD + ROW * len(one["peers"]) for _, one in panels]
    left, used = [], 0
    for panel, height in zip(panels, heights):
        if left and used + height / 2 > sum(heights) / 2:
            break
        left.append(panel)
        used += height
    return [left, panels[len(left):]]


def panel(axes, one):
    peers = list(one["peers"].items())
    measured = [(p, v) for p, v in peers if v["status"] == "measured"]
    if one["base"]:
        measured.sort(key=lambda item: item[1]["median"])
    rows = measured + [(p, v) for p, v in peers if v["status"] != "measured"]
    ours = [one["labels"][p].startswith("ipcfs") for p, _ in rows]
    values = [max(v["median"], 0.1) for _, v in measured]
    axes.barh(range(len(values)), values, color=[OURS if o else OTHERS for o in ours], height=0.7)
    axes.set_xscale("log")
    low, high = min(values), max(values)
    axes.set_xlim(low / 3, high * (high / low) ** 0.25 * 3)
    for i, (_, v) in enumerate(rows):
        text = amount(v["median"], one["unit"]) if i < len(values) else v["status"]
        axes.text(values[i] * 1.06 if i < len(values) else low / 2.9, i, text, va="center",
                  fontsize=6.5, color=TEXT)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [one["labels"][p] for p, _ in rows])
    axes.tick_params(axis="y", labelsize=7, length=0)
    for text, mine in zip(axes.get_yticklabels(), ours):
        text.set_color(OURS if mine else TEXT)
    axes.set_xticks([])
    axes.minorticks_off()
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def picture(about, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ipcfs",
                                "font.family": "sans-serif"})
    import matplotlib.pyplot as plt

    panels = [(name, one) for name, one in about["workloads"].items()
              if any(p["status"] == "measured" for p in one["peers"].values())]
    if not panels:
        return
    both = columns(panels)
    heights = [sum(HEAD + ROW * len(one["peers"]) for _, one in column) for column in both]
    height = max(heights) + 0.9
    figure = plt.figure(figsize=(WIDTH, height))
    m = about["machine"]
    figure.text(0.02, 1 - 0.3 / height, "ipcfs and its alternatives: time per operation "
                "(log scale, shorter is better)", fontsize=11, fontweight="bold")
    figure.text(0.02, 1 - 0.52 / height, f"{m['cpu']}, {m['cpus']} CPUs, Linux {m['kernel']}, "
                f"{m['date'][:10]}; medians of {about['rounds']} rounds in turns", fontsize=8,
                color=TEXT)
    for x, column in zip((0.0, 0.5), both):
        top = height - 0.7
        for name, one in column:
            tall = ROW * len(one["peers"])
            axes = figure.add_axes([x + 0.225, (top - 0.35 - tall) / height, 0.255, tall / height])
            panel(axes, one)
            figure.text(x + 0.02, (top - 0.27) / height, f"{name}: {one['title']}", fontsize=8,
                        fontweight="bold")
            top -= HEAD + tall
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write(about, out):
    os.makedirs(out, exist_ok=True)
    text = table(about)
    with open(os.path.join(out, "results.json"), "w") as f:
        json.dump(about, f, indent=1)
        f.write("\n")
    with open(os.path.join(out, "results.txt"), "w") as f:
        f.write(text)
    print("\n" + text)
    picture(about, os.path.join(out, "results.svg"))
    print(f"also in {out}: results.txt results.json results.svg")
