"""Making a model smaller: experts removed by evidence, operations put into integers by measurement."""
