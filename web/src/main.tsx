// The page begins here.

import { render } from 'preact'
import './style/tokens.css'
import './style/base.css'
import './style/ui.css'
import { models } from './api/models'
import { Shell } from './app/shell'

void models.refresh() // asks for a key where the server wants one
render(<Shell />, document.getElementById('page')!)
