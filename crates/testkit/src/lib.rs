//! Clocks, scripted stores and a fault proxy for tests
