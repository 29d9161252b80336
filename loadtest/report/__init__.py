"""From a judgement to files: sections are built once, as blocks, and rendered twice."""
