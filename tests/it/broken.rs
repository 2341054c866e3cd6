//! What is broken, hostile or odd in a repository costs itself only.
