console.log('see README.md');
