"""The hands: collection, analysis, recommendation, execution, learning - and what they stand on."""
